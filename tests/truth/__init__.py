"""The judges of datasets: what their views must answer, in plain Python over raw rows of the plant.

Written from the facts of the plant, sharing no code with the views.
"""
