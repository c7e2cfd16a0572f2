"""`python -m runtime.host`: started by the supervisor only."""

from runtime.host.main import main

main()
