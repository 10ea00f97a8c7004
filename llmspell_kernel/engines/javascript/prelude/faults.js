// Errors: what is told of whatever a script threw, and the Errors that scripts catch.
'use strict';
(function faults({ hidden, shown, clip, values, inspect, lookUp }, OUT_OF_MEMORY) {
  const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
  const { stringify } = JSON;
  const { setPrototypeOf } = Object;
  const { isError } = Error;
  const { isException } = values; // a DOMException is no Error to the language
  const Err = Error, TypeErr = TypeError, Text = String;
  const objectToString = Object.prototype.toString, { toWellFormed } = String.prototype;

  const read = (thing, key) => {
    const value = thing[key];
    return typeof value === 'string' ? value : '';
  };
  const nativeStack = getOwnPropertyDescriptor(Err.prototype, 'stack').get;
  // the stack the engine kept, not a property that a script may set; for an effect's error the one captured at the call
  const stackOf = (error, origin) => {
    const descriptor = origin === undefined && !isException(error) ? undefined : getOwnPropertyDescriptor(error, 'stack');
    const stack = descriptor !== undefined ? descriptor.value : apply(nativeStack, error, []);
    return typeof stack === 'string' ? stack : '';
  };
  const thrownText = (thrown) => {
    if (typeof thrown === 'string') return thrown;
    if ((typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function') {
      const own = lookUp(thrown, 'toString');
      return typeof own === 'function' && own !== objectToString && typeof thrown !== 'function' ? Text(thrown) : inspect(thrown);
    }
    return typeof thrown === 'symbol' ? inspect(thrown) : '' + thrown;
  };
  const faultText = (code, name, message, stack, retryable, effect = 0) => '{"code":' + stringify(code) + ',"name":' + stringify(name) +
    ',"message":' + stringify(apply(toWellFormed, clip(message, 10000), [])) + ',"stack":' + stringify(apply(toWellFormed, clip(stack, 20000), [])) +
    ',"retryable":' + (retryable ? 'true' : 'false') + ',"effect":' + effect + '}';
  // what the engine says where memory was refused
  const saysFull = (name, message) => name === 'InternalError' && (message === 'out of memory' || message === 'out of memory in regexp execution');
  const isFull = (thrown) => {
    try { return thrown === null || (isError(thrown) && saysFull(thrown.name, thrown.message)); } catch (_) { return false; }
  };
  // made beforehand: where there is no memory to read an error, there is none for a new text either
  const FULL = faultText('limit', 'InternalError', OUT_OF_MEMORY, '', false);
  const UNREADABLE = faultText('script', 'Error', 'an error that throws when it is read', '', false);
  const describe = (thrown) => {
    try {
      // what the engine throws when no memory is left even for the error; a script that throws null looks the same
      if (thrown === null) return faultText('limit', 'InternalError', OUT_OF_MEMORY + ' (a script that throws null is told the same)', '', false);
      if (typeof thrown !== 'object' || !(isError(thrown) || isException(thrown))) return faultText('script', '', thrownText(thrown), '', false);
      const origin = values.originOf(thrown);
      const name = read(thrown, 'name'), message = read(thrown, 'message'), stack = stackOf(thrown, origin);
      if (saysFull(name, message)) return faultText('limit', name, OUT_OF_MEMORY, stack, false);
      const clean = apply(toWellFormed, clip(name, 100), []);
      if (origin === undefined) return faultText('script', clean, message, stack, false);
      return faultText(origin.code, clean, message, stack, origin.retryable, origin.effect);
    } catch (error) { return isFull(error) ? FULL : UNREADABLE; }
  };

  // An effect's fault as the Error its promise is rejected with; `site` was made at the call, so its stack points there.
  const natives = { __proto__: null, TypeError: TypeErr.prototype, RangeError: RangeError.prototype, SyntaxError: SyntaxError.prototype };
  const names = { __proto__: null, denied: 'DeniedError', limit: 'LimitError', argument: 'TypeError', value: 'TypeError', interrupted: 'InterruptedError' };
  const dress = (site, fault, effect) => {
    const name = names[fault.code] ?? (fault.name === '' || fault.name === 'ScriptError' ? 'Error' : clip(fault.name, 100));
    if (name in natives) setPrototypeOf(site, natives[name]);
    else defineProperty(site, 'name', hidden(name));
    defineProperty(site, 'message', hidden(fault.message));
    defineProperty(site, 'code', shown(fault.code));
    defineProperty(site, 'retryable', shown(fault.retryable));
    values.remember(site, fault.code, fault.retryable, effect);
    return site;
  };

  // an error of ours: the host sees its code, and so does a script
  const fault = (code, name, message) => {
    const error = new Err(message);
    if (name !== 'Error') defineProperty(error, 'name', hidden(name));
    defineProperty(error, 'code', shown(code));
    values.remember(error, code, false);
    return error;
  };
  const argument = (message) => {
    const error = new TypeErr(message);
    values.remember(error, 'argument', false);
    return error;
  };
  // an action's text as the answer to a question of the host, or what it threw
  // The arguments are named, not a list: an index that is not there would be asked of Object.prototype, which is the script's.
  const answering = (action) => (first, second) => {
    try { return '{"value":' + action(first, second) + '}'; } catch (error) { return '{"fault":' + describe(error) + '}'; }
  };
  // of an error that the engine made itself
  const stack = (error) => (isError(error) ? stackOf(error, undefined) : '');
  return { __proto__: null, describe, dress, fault, stack, argument, answering };
})
