"""Labels: the schema of a cube, studies, cells, and files."""
