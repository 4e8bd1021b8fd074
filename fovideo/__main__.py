"""`python -m fovideo` is the `fovideo` command."""

from fovideo.cli.main import main

main()
