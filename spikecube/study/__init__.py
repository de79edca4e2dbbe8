"""Reading a study: its fields, checks of what a user wrote, and the one `Study`."""
