.PHONY: demo test check bench soak golden proto lock clean

demo: .venv/ready ; .venv/bin/sluice demo $(ARGS)
test: .venv/ready ; .venv/bin/python -m pytest $(ARGS)
