"""Trace and log settings."""

import sys

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

client = grpcclient.InferenceServerClient(sys.argv[1])


def show(response):
    return sorted((name, list(value.value)) for name, value in response.settings.items())


print(show(client.get_trace_settings()))
print(show(client.get_trace_settings(model_name="simple")))
print(show(client.update_trace_settings("simple", {"trace_rate": "5", "trace_level": ["OFF"]})))
changed = client.update_trace_settings("simple", {"trace_rate": None}, as_json=True)
print(list(changed), sorted(changed["settings"].items()))
print(show(client.update_trace_settings(settings={"log_frequency": "3"})))
print(show(client.update_trace_settings(settings={"log_frequency": None})))
print(show(client.update_trace_settings()))
for model, settings in (("nope", {}), (None, {"trace_rate": "x"}), (None, {"nope": "1"})):
    try:
        print(show(client.update_trace_settings(model, settings)))
    except InferenceServerException as error:
        print(error)

before = client.get_log_settings()
print(sorted(before.settings), before.settings["log_verbose_level"].uint32_param)
print(before.settings["log_info"].WhichOneof("parameter_choice"))
changed = client.update_log_settings({"log_verbose_level": 1, "log_format": "ISO8601"})
print(changed.settings["log_verbose_level"].uint32_param)
print(changed.settings["log_format"].string_param)
settings = {"log_verbose_level": 0, "log_format": "default"}
print(sorted(client.update_log_settings(settings, as_json=True)["settings"].items()))
try:
    client.update_log_settings({"log_format": "nope"})
except InferenceServerException as error:
    print(error)
