"""`ridge_path` under the name by which scripts import it."""

from spikecube.linalg.factor import ridge_path as ridge_path
