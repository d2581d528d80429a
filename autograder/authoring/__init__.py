"""Tools of the course author: what students get is generated from the reference solutions."""
