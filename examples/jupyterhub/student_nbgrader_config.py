"""The students' settings: /etc/jupyter/nbgrader_config.py on the hub. Nothing of the grader is in it."""

c = get_config()

c.CourseDirectory.course_id = "transformers"  # the id of course.toml
c.Exchange.root = "/srv/nbgrader/exchange"
c.Exchange.timezone = "UTC"
