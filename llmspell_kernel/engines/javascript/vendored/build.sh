#!/bin/sh
# Makes urls.js anew; README.md says what from.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/entry.js" "$work/"
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts core-js-pure@3.51.0 esbuild@0.28.2
# the library looks for its global object by these names, and keeps a store there: it gets an object of its own in front of the real one
npx esbuild entry.js --bundle --minify --format=iife --global-name=made --target=es2022 --charset=ascii --legal-comments=none \
  "--banner:js=/*! core-js 3.51.0 | (c) Denis Pushkarev and contributors | MIT, see LICENSE.core-js | made by build.sh */
(function urls(){return(function(globalThis,window,self,global){\"use strict\";" \
  "--footer:js=return made})(Object.create(globalThis))})" \
  --outfile="$here/urls.js"
