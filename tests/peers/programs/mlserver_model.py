from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Double(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        array = NumpyCodec.decode_input(payload.inputs[0])
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("OUT", array * 2)]
        )


def copied(payload: InferenceRequest, name: str) -> InferenceResponse:
    given = payload.inputs[0]
    output = ResponseOutput(name="OUT", shape=given.shape, datatype=given.datatype, data=given.data)
    return InferenceResponse(model_name=name, id=payload.id, outputs=[output])


class Echo(MLModel):
    """Gives back its input, and on streams three times."""

    async def predict(self, payload):
        return copied(payload, self.name)

    async def predict_stream(self, payloads):
        async for payload in payloads:
            for _ in range(3):
                yield copied(payload, self.name)


class Fail(MLModel):
    async def predict(self, payload):
        raise ValueError("the model did not like it")
