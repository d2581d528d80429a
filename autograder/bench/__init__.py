"""The benchmark: the same submissions, judged by the same checks, by this grader and by the ones that courses use today."""
