"""The old name of `tritonclient.utils.cuda_shared_memory`."""

from tritonclient.classic.renamed import renamed

__getattr__ = renamed(__name__, "tritonclient.utils.cuda_shared_memory")
