"""What was found, in words and tables; the command line, the report and notebooks print it."""
