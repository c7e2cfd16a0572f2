"""`python -m runtime.supervisor --state DIR`: the runtime in the foreground."""

from runtime.supervisor.main import main

main()
