// What the bundle holds; see README.md.
const URL = require('core-js-pure/actual/url');
const URLSearchParams = require('core-js-pure/actual/url-search-params');
module.exports = { URL, URLSearchParams };
