"""The pretext task: can an image find its own view?"""
