"""The network in NumPy and SciPy only: activations, targets, random streams, features, ridge, spectrum."""
