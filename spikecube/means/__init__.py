"""Means and errors over seeds, with control variates."""
