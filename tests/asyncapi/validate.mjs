// Reads AsyncAPI documents with AsyncAPI's own parser, and their examples with a JSON Schema validator; ends with 1
// if there is an error in any.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import parser from "@asyncapi/parser";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const { DiagnosticSeverity, Parser } = parser;

/** What is wrong with a document, each as one line; empty if it is valid. */
export async function errorsIn(text) {
  const { document, diagnostics } = await new Parser().parse(text);
  const errors = diagnostics
    .filter(({ severity }) => severity === DiagnosticSeverity.Error)
    .map(({ code, message, path }) => `${path.join("/")}: ${message} (${code})`);
  if (!document) return errors.length ? errors : ["no document came out of the parser"];
  return [...errors, ...errorsInExamples(document)];
}

/** Examples that do not fit their message's schemas, which the parser does not look at since AsyncAPI 3. */
function errorsInExamples(document) {
  const ajv = addFormats(new Ajv({ strict: false, allErrors: true })).addFormat("decimal", true);
  return document.allMessages().all().flatMap((message) =>
    message.examples().all().flatMap((example) =>
      [
        [message.payload(), example.payload(), "payload"],
        [message.headers(), example.headers(), "headers"],
      ]
        .filter(([schema, value]) => schema && value !== undefined)
        .flatMap(([schema, value, part]) => misfits(ajv, schema.json(), value, `${message.id()} ${part}`)),
    ),
  );
}

function misfits(ajv, schema, value, where) {
  const validate = ajv.compile(schema);
  return validate(value) ? [] : validate.errors.map((error) => `${where}${error.instancePath} ${error.message}`);
}

async function main(files) {
  if (files.length === 0) {
    console.error("usage: node validate.mjs DOCUMENT...");
    return 2;
  }
  let failed = 0;
  for (const file of files) {
    const errors = await errorsIn(await readFile(file, "utf8"));
    errors.forEach((error) => console.error(`${file}: ${error}`));
    console.log(`${file}: ${errors.length === 0 ? "valid AsyncAPI" : `${errors.length} errors`}`);
    failed += errors.length;
  }
  return failed === 0 ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await main(process.argv.slice(2));
}
