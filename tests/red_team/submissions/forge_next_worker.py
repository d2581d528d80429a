"""Changes the code that answers in this process and then ends it, in case the next process begins with what this one had."""

import builtins
import gc
import os
import sys

builtins.red_team_mark = torch.red_team_mark = True
os.environ["RED_TEAM_MARK"] = "1"
sys.path.insert(0, "@FOLDER@")
sys.meta_path.insert(0, type("Finder", (), {"find_spec": staticmethod(lambda *_: None)}))
sys.setrecursionlimit(50_000)
torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
torch.use_deterministic_algorithms(True)
torch.set_num_threads(7)
gc.disable()
for thing in gc.get_objects():
    if type(thing).__name__ == "Service":
        type(thing).answer = lambda self, header, payload: ({"id": header["id"], "value": True, "tensors": []}, b"")


def scaled_dot_product_attention(query, key, value, mask=None):
    os._exit(0)
