import sys

from kserve import InferOutput, InferResponse, Model, ModelServer


def response(payload, name, array):
    output = InferOutput("OUT", list(array.shape), payload.inputs[0].datatype)
    output.set_data_from_numpy(array, binary_data=False)
    return InferResponse(payload.id or "id", name, [output])


class Ready(Model):
    def load(self):
        self.ready = True
        return self.ready


class Double(Ready):
    async def predict(self, payload, headers=None, response_headers=None):
        return response(payload, self.name, payload.inputs[0].as_numpy() * 2)


class Echo(Ready):
    async def predict(self, payload, headers=None, response_headers=None):
        return response(payload, self.name, payload.inputs[0].as_numpy())


class Fail(Ready):
    async def predict(self, payload, headers=None, response_headers=None):
        raise ValueError("the model did not like it")


if __name__ == "__main__":
    models = [Double("double"), Echo("echo"), Fail("fail")]
    for model in models:
        model.load()
    ModelServer(http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2])).start(models)
