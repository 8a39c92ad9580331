"""Uses a handle on a model, which knows the model's inputs and checks what it is given."""

import argparse

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

with tritonclient.Client(url) as client:
    simple = client.model("simple")
    print(simple.spec)

    # Lists become arrays of the datatype that the model expects.
    result = simple(INPUT0=[list(range(16))], INPUT1=[[1] * 16])
    print(result["OUTPUT0"])

    # Mistakes are found before anything is sent.
    try:
        simple(INPUT0=np.zeros((1, 16), np.float32), INPUT1=[[1] * 16])
    except ValueError as error:
        print(error)
