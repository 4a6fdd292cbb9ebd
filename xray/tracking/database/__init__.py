"""The files of MLflow's store in a home: the database and the artifacts."""
