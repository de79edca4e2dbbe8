"""`python -m spikecube`."""

from spikecube.cli import main

if __name__ == "__main__":
    main()
