"""Hidden patches: Does it help to hide parts of every view?

Embedded digits on a CPU by default; --data cifar10 --budget gpu, or --data imagefolder:/path --budget full.
"""

from analyses.study import main

if __name__ == "__main__":
    main(__file__, doc=__doc__)
