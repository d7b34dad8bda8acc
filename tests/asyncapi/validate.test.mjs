// Proves that the validation can fail: each fault planted into the real document is found.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { errorsIn } from "./validate.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const real = await readFile(here("../../docs/asyncapi.json"), "utf8");
const command = "pe.conecta.aid_calls.submit-application.v1";
const fact = "pe.conecta.aid_calls.aid-awarded.v1";

const plantings = {
  "a document without a title": (it) => delete it.info.title,
  "an action that is neither send nor receive": (it) =>
    (it.operations["aid_calls.publish.aid-awarded"].action = "publish"),
  "an operation on a channel that is not there": (it) =>
    (it.operations["aid_calls.publish.aid-awarded"].channel.$ref = "#/channels/nowhere"),
  "an operation with a message that its channel does not have": (it) =>
    (it.operations["aid_calls.publish.aid-awarded"].messages[0].$ref = `#/components/messages/${command}`),
  "an address with a parameter that is not described": (it) =>
    delete it.channels["fact.aid_calls.aid-awarded"].parameters.call_id,
  "a schema that is not there": (it) =>
    (it.components.messages[fact].payload.$ref = "#/components/schemas/nothing"),
  "an example that does not fit its schema": (it) =>
    (it.components.messages[command].examples[0].payload.data.requested = true),
  "an example without a field that is required": (it) =>
    delete it.components.messages[fact].examples[0].payload.version,
};

test("the real document is valid", async () => {
  assert.deepEqual(await errorsIn(real), []);
});

for (const [fault, plant] of Object.entries(plantings)) {
  test(`${fault} is an error`, async () => {
    const document = JSON.parse(real);
    plant(document);
    assert.notDeepEqual(await errorsIn(JSON.stringify(document)), []);
  });
}

test("what is no AsyncAPI at all is an error", async () => {
  assert.notDeepEqual(await errorsIn("{}"), []);
});

test("the program ends with 1 on an invalid document, and with 0 on the real one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "asyncapi-"));
  try {
    const invalid = join(folder, "invalid.json");
    await writeFile(invalid, real.replace('"action": "receive"', '"action": "eat"'));
    const status = (file) => spawnSync(process.execPath, [here("validate.mjs"), file]).status;
    assert.equal(status(invalid), 1);
    assert.equal(status(here("../../docs/asyncapi.json")), 0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
