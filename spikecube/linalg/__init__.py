"""Dense and Krylov algebra on a matrix of features; it knows nothing of networks."""
