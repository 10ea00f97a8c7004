// console: lines as text; warn, error, assert and trace go to stderr.
'use strict';
(function console({ hidden, format, isProxy, values }, write) {
  const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
  const { keys: keysOf, create } = Object;
  const { isArray } = Array;
  const { now } = Date;
  const { captureStackTrace } = Error;
  const Text = String, Err = Error;
  const hasOwn = Object.prototype.hasOwnProperty;
  const { repeat, split, indexOf, slice } = String.prototype;
  const mapForEach = Map.prototype.forEach, setForEach = Set.prototype.forEach;
  const MAX_ROWS = 1000, MAX_COLUMNS = 50, MAX_WIDTH = 60;

  let indent = '';
  const print = (stream, text) => {
    if (indent === '') return write(stream, text);
    const lines = apply(split, text, ['\n']);
    let all = '';
    for (let i = 0; i < lines.length; i++) all += (i === 0 ? '' : '\n') + indent + lines[i];
    write(stream, all);
  };
  const printer = (name, stream) => {
    const made = { print(...args) { print(stream, format(args)); } }.print;
    defineProperty(made, 'name', { __proto__: null, value: name });
    return made;
  };

  // -- table: rows as they come, columns by name, what is no object in a column of its own -------------------------------------------------
  const isObject = (value) => typeof value === 'object' && value !== null && !isProxy(value);
  const shownText = (value) => {
    const text = typeof value === 'string' ? value : format([value]);
    const end = apply(indexOf, text, ['\n']), line = end < 0 ? text : apply(slice, text, [0, end]) + '...';
    return line.length > MAX_WIDTH ? apply(slice, line, [0, MAX_WIDTH - 3]) + '...' : line;
  };
  const newTable = () => ({ __proto__: null, columns: create(null), width: create(null), count: 0, rows: create(null), size: 0 });
  const cell = (table, row, column, text) => {
    if (!(column in table.columns)) {
      if (table.count >= MAX_COLUMNS) return;
      table.columns[column] = table.count++;
      table.width[column] = column.length;
    }
    row[column] = text;
    if (text.length > table.width[column]) table.width[column] = text.length;
  };
  const INDEX = '(index)', VALUES = 'Values';
  const addRow = (table, index, value, wanted) => {
    if (table.size >= MAX_ROWS) return;
    const row = table.rows[table.size++] = create(null);
    cell(table, row, INDEX, shownText(index));
    if (!isObject(value)) return cell(table, row, VALUES, shownText(value));
    const names = wanted ?? keysOf(value);
    for (let i = 0; i < names.length; i++) {
      const descriptor = getOwnPropertyDescriptor(value, names[i]);
      if (descriptor !== undefined) cell(table, row, Text(names[i]), apply(hasOwn, descriptor, ['value']) ? shownText(descriptor.value) : '[Getter]');
      else if (wanted !== undefined) cell(table, row, Text(names[i]), '');
    }
  };
  const padded = (text, width) => text + (text.length < width ? apply(repeat, ' ', [width - text.length]) : '');
  const rowsOf = (table, data, wanted) => {
    const kind = values.kindOf(data);
    let at = 0;
    if (kind === 'Map') apply(mapForEach, data, [(value, key) => addRow(table, key, value, wanted)]);
    else if (kind === 'Set') apply(setForEach, data, [(value) => addRow(table, at++, value, wanted)]);
    else {
      const names = keysOf(data);
      for (; at < names.length; at++) {
        const descriptor = getOwnPropertyDescriptor(data, names[at]);
        addRow(table, names[at], apply(hasOwn, descriptor, ['value']) ? descriptor.value : '[Getter]', wanted);
      }
    }
  };
  const tableText = (data, wanted) => {
    const table = newTable();
    rowsOf(table, data, isArray(wanted) ? wanted : undefined);
    const names = keysOf(table.columns);
    // names that look like numbers come first in an object: put in the order in which they were seen
    const order = create(null);
    for (let i = 0; i < names.length; i++) order[table.columns[names[i]]] = names[i];
    const line = (textAt) => {
      let text = '';
      for (let i = 0; i < table.count; i++) text += (i === 0 ? '' : '  ') + (i === table.count - 1 ? textAt(order[i]) : padded(textAt(order[i]), table.width[order[i]]));
      return text;
    };
    let text = line((name) => name) + '\n' + line((name) => apply(repeat, '-', [table.width[name]]));
    for (let i = 0; i < table.size; i++) text += '\n' + line((name) => table.rows[i][name] ?? '');
    return table.size < MAX_ROWS ? text : text + '\n... only the first ' + MAX_ROWS + ' rows are shown';
  };

  const counts = create(null), times = create(null);
  const labelOf = (label) => (label === undefined ? 'default' : Text(label));
  const sinceText = (label) => (label in times ? label + ': ' + (now() - times[label]) + ' ms' : undefined);
  const group = (...args) => {
    if (args.length > 0) print(1, format(args));
    if (indent.length < 40) indent += '  ';
  };
  const stackText = (caller) => {
    const site = new Err();
    captureStackTrace(site, caller);
    const stack = getOwnPropertyDescriptor(site, 'stack');
    if (stack === undefined || typeof stack.value !== 'string') return '';
    const lines = apply(split, stack.value, ['\n']);
    let text = '';
    for (let i = 0; i < lines.length; i++) if (lines[i] !== '') text += '\n' + lines[i];
    return text;
  };

  const console = {
    log: printer('log', 1), info: printer('info', 1), debug: printer('debug', 1), warn: printer('warn', 2), error: printer('error', 2),
    table(data, columns) { print(1, isObject(data) ? tableText(data, columns) : format([data])); },
    dir(value) { print(1, format([value])); },
    assert(condition, ...args) { if (!condition) print(2, 'Assertion failed' + (args.length > 0 ? ': ' + format(args) : '')); },
    count(label) {
      const name = labelOf(label);
      counts[name] = (counts[name] ?? 0) + 1;
      print(1, name + ': ' + counts[name]);
    },
    countReset(label) { delete counts[labelOf(label)]; },
    group(...args) { group(...args); },
    groupCollapsed(...args) { group(...args); },
    groupEnd() { indent = apply(slice, indent, [2]); },
    time(label) { times[labelOf(label)] = now(); },
    timeLog(label, ...args) {
      const name = labelOf(label), text = sinceText(name);
      if (text === undefined) print(2, "there is no timer '" + name + "'");
      else print(1, text + (args.length > 0 ? ' ' + format(args) : ''));
    },
    timeEnd(label) {
      const name = labelOf(label), text = sinceText(name);
      if (text === undefined) print(2, "there is no timer '" + name + "'");
      else print(1, text);
      delete times[name];
    },
    trace(...args) { print(2, 'Trace' + (args.length > 0 ? ': ' + format(args) : '') + stackText(console.trace)); },
  };
  // a group that a cell left open does not indent the next one
  return { __proto__: null, console, printLine: printer('print', 1), begin() { indent = ''; } };
})
