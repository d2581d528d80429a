"""Part of a jupyterhub_config.py: each student a system user of their own, and the instructor with formgrader."""

c = get_config()

# Every server runs as its own Unix user, so that the exchange's file permissions keep students apart. In containers where all are
# "jovyan", nothing on a shared volume does: give each student a user id of their own.
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"

c.JupyterHub.load_groups = {"instructors": {"users": ["instructor"]}}
c.Spawner.environment = {
    # A mistake in nbgrader_config.py stops nbgrader. Without this it would go on without the file, and grade outside of the sandbox.
    "TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR": "1",
}
