"""The data-only wire between grader and worker: JSON headers, raw tensor bytes, nothing that executes."""
