"""HoloViews and Panel, and only here: views, report, and the explorer."""
