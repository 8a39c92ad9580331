import sys

from kserve import InferOutput, InferResponse, Model, ModelServer


class Double(Model):
    def load(self):
        self.ready = True
        return self.ready

    async def predict(self, payload, headers=None, response_headers=None):
        array = payload.inputs[0].as_numpy() * 2
        output = InferOutput("OUT", list(array.shape), payload.inputs[0].datatype)
        output.set_data_from_numpy(array, binary_data=False)
        return InferResponse("id", self.name, [output])


if __name__ == "__main__":
    model = Double("double")
    model.load()
    ModelServer(http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2])).start([model])
