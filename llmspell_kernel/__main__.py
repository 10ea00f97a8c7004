"""`python -m llmspell_kernel --spec llmspell-lua -f FILE`: the kernel that a kernel.json starts.

A worker process is started before ipykernel is imported: it gets ready while the kernel does.
"""

from __future__ import annotations

import sys

from .kernel.loading import keep_what_is_loaded, without_collections


def main(arguments: list[str]) -> None:
    spec = "llmspell"
    if "--spec" in arguments[:-1]:
        at = arguments.index("--spec")
        spec = arguments[at + 1]
        arguments = arguments[:at] + arguments[at + 2 :]

    with without_collections():
        from .engines._registry import discover
        from .kernel.entrance import start_spare

        engines = discover()
        spare = start_spare(engines)

        from ipykernel.kernelapp import IPKernelApp

        from .kernel.kernel import for_spec, specs

        keep_what_is_loaded()

    known = specs(engines)
    if spec not in known:
        sys.exit(f"there is no kernel '{spec}'; known: {', '.join(known)}")
    IPKernelApp.launch_instance(arguments, kernel_class=for_spec(spec, engines, spare))


if __name__ == "__main__":
    main(sys.argv[1:])
