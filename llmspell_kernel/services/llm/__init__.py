"""Language models behind one interface: `service.LlmService` picks a model and makes a `generation.Generation` of each call.

`models.py` is the interface (requests, deltas, `Model`); each kind of model is one file: `echo`, `scripted`, `local`, `litellm_models`.
Only `litellm_library` imports litellm, in a thread, when a model outside `spell/` is used.
To add a model: one file with a class that has `prepare` and `stream`, and one line in `service.LlmService._open_model`.
"""
