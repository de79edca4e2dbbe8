"""HoloViews and Panel, and only here: views, app, report."""
