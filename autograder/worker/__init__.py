"""The untrusted side: the process that holds a student's module and answers calls. It knows no test and no secret."""
