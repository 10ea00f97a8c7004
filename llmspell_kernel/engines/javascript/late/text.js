// text: what strings lack.
//
// text.lines(s)                  the lines, without their endings
// text.template(s, values)       {{name}} and {{user.name}} replaced; a name that is not there is an error, objects become JSON
// text.wrap(s, width, indent)    lines of at most `width` characters (80), all but the first after `indent`
// text.dedent(s)                 without the white space that all lines begin with, and without a first line that is empty
'use strict';
(function text({ hint, argument }) {
  const takes = (value, kind, what) => {
    if (typeof value !== kind) throw argument(what + ', not ' + (value === null ? 'null' : 'a ' + typeof value));
    return value;
  };
  const lines = (s) => {
    const all = takes(s, 'string', 'text.lines takes a string').split('\n');
    if (all[all.length - 1] === '') all.pop();
    return all.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  };
  const isObject = (value) => typeof value === 'object' && value !== null;
  const valueAt = (values, path) => {
    let value = values;
    for (const name of path.split('.').filter((part) => part !== '')) {
      const owner = value;
      value = isObject(owner) && Object.hasOwn(owner, name) ? owner[name] : undefined;
      if (value === undefined) {
        const known = isObject(owner) ? Object.keys(owner).sort() : [];
        throw argument('text.template: there is no value for {{' + path + '}}' + (known.length > 0 ? hint(name, known) : ''));
      }
    }
    return value;
  };
  const template = (s, values) => {
    takes(s, 'string', 'text.template takes a string');
    if (!isObject(values)) throw argument('text.template takes an object of values as its second argument');
    return s.replace(/\{\{\s*([A-Za-z0-9_][A-Za-z0-9_.]*)\s*\}\}/g, (_, path) => {
      const value = valueAt(values, path);
      return isObject(value) ? JSON.stringify(value) : String(value);
    });
  };
  const lengthOf = (word) => [...word].length;
  const wrapParagraph = (paragraph, width, indent, out) => {
    let line = null, length = 0;
    for (const word of paragraph.split(/\s+/).filter((part) => part !== '')) {
      const size = lengthOf(word);
      if (line !== null && length + 1 + size <= width) {
        line += ' ' + word;
        length += 1 + size;
        continue;
      }
      if (line !== null) out.push(line);
      line = (out.length > 0 ? indent : '') + word;
      length = (out.length > 0 ? lengthOf(indent) : 0) + size;
    }
    out.push(line ?? '');
  };
  const wrap = (s, width = 80, indent = '') => {
    takes(s, 'string', 'text.wrap takes a string');
    takes(indent, 'string', 'text.wrap takes a string as its indent');
    if (!(takes(width, 'number', 'text.wrap takes a width as its second argument') >= 1)) throw argument('text.wrap: the width must be at least 1');
    const out = [];
    for (const paragraph of lines(s)) wrapParagraph(paragraph, width, indent, out);
    return out.join('\n');
  };
  const dedent = (s) => {
    const body = takes(s, 'string', 'text.dedent takes a string').replace(/^[ \t]*\r?\n/, '');
    const all = body.split('\n');
    let least = null;
    for (const line of all) {
      if (line.trim() === '') continue;
      const before = /^[ \t]*/.exec(line)[0].length;
      if (least === null || before < least) least = before;
    }
    if (!least) return body;
    return all.map((line) => (line.trim() === '' ? '' : line.slice(least))).join('\n');
  };
  return { __proto__: null, text: { dedent, lines, template, wrap } };
})
