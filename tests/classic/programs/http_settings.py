"""Trace and log settings."""

import sys

import tritonclient.http as httpclient

client = httpclient.InferenceServerClient(sys.argv[1])
print(client.get_trace_settings())
print(client.update_trace_settings(settings={"trace_rate": "7", "log_frequency": "3"}))
print(client.update_trace_settings("simple", {"trace_level": ["TIMESTAMPS"], "trace_rate": "9"}))
print(client.get_trace_settings(model_name="simple"))
print(client.get_trace_settings())
print(client.update_trace_settings("simple", {"trace_level": None, "trace_rate": None}))
print(client.update_trace_settings(settings={"trace_rate": None, "log_frequency": None}))
print(client.update_trace_settings())

print(client.get_log_settings())
print(client.update_log_settings({"log_verbose_level": 1, "log_info": False}))
print(client.update_log_settings(settings={"log_verbose_level": 0, "log_info": True}))
