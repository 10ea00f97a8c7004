"""Plain Python behind the larger bridges; no script in sight.  Imports values, errors and each other upwards only."""
