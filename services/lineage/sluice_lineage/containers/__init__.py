"""What people type, resolved to containers: kinds of values, their grammar, statements, guard rails, answers."""
