"""The field's own conformance suite, `jupyter_kernel_test`, against both language kernels: all 13 tests."""

import jupyter_kernel_test as jkt
import pytest


@pytest.fixture(autouse=True, scope="module")
def echo_model(tmp_path_factory):
    """The deterministic model, and a history that holds nothing of earlier runs, for the kernels started here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        patch.setenv("LLMSPELL_MODEL", "spell/echo")
        yield


class TestLuaKernel(jkt.KernelTests):
    kernel_name = "llmspell-lua"
    language_name = "lua"
    file_extension = ".lua"
    code_hello_world = "print('hello, world')"
    code_stderr = "eprint('oops')"
    completion_samples = [
        {"text": "pri", "matches": {"print"}},
        {"text": "llm.set_m", "matches": {"set_model"}},
        {"text": "string.fin", "matches": {"find"}},
    ]
    complete_code_samples = ["x = 1", "print('hello')", "function f() return 1 end", "1 + 1"]
    incomplete_code_samples = ["function f(", "if x then", "x = {", "print('a',"]
    invalid_code_samples = ["x = = 1", "end end", "local 1"]
    code_page_something = "%lsmagic?"
    code_generate_error = "error('on purpose')"
    code_execute_result = [
        {"code": "1 + 2", "result": "3"},
        {"code": "'a' .. 'b'", "result": "ab"},
        {"code": "1, 2.0", "result": "1\t2.0"},
    ]
    code_display_data = [{"code": "ui.display({1, 2, 3})", "mime": "text/html"}, {"code": "ui.display('hi')", "mime": "text/plain"}]
    code_history_pattern = "1 +*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "llm.chat"
    code_clear_output = "ui.clear()"


class TestJavaScriptKernel(jkt.KernelTests):
    kernel_name = "llmspell-js"
    language_name = "javascript"
    file_extension = ".js"
    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('oops')"
    completion_samples = [
        {"text": "consol", "matches": {"console"}},
        {"text": "llm.setM", "matches": {"setModel"}},
        {"text": "Math.flo", "matches": {"floor"}},
    ]
    complete_code_samples = ["let x = 1", "console.log('hello')", "function f() { return 1 }", "1 + 1"]
    incomplete_code_samples = ["function f(", "if (x) {", "x = {", "`a ${"]
    invalid_code_samples = ["let = = 1", "}}", "1 +* 2"]
    code_page_something = "%lsmagic?"
    code_generate_error = "throw new Error('on purpose')"
    code_execute_result = [
        {"code": "1 + 2", "result": "3"},
        {"code": "'a' + 'b'", "result": "ab"},
        {"code": "await Promise.resolve(4)", "result": "4"},
    ]
    code_display_data = [
        {"code": "await ui.display([1, 2, 3])", "mime": "text/html"},
        {"code": "await ui.display('hi')", "mime": "text/plain"},
    ]
    code_history_pattern = "1 +*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "llm.chat"
    code_clear_output = "await ui.clear()"


class TestLuaWelcome(jkt.IopubWelcomeTests):
    kernel_name = "llmspell-lua"
    support_iopub_welcome = True


class TestJavaScriptWelcome(jkt.IopubWelcomeTests):
    kernel_name = "llmspell-js"
    support_iopub_welcome = True
