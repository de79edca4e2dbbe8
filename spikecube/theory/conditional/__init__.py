"""F itself at finite n and any alpha, conditioned on kappa and a: profile, equations, losses, edge and density."""
