#!/bin/sh
# The `regain` command of an image, where the project is a folder and no installed package.
exec python -m worker.cli.main "$@"
