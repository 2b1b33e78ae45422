// Calls every public method of @exadel/compreface-js-sdk 1.0.0, and prints what each returned, a JSON object a line.
//
//     node --input-type=module - ADDRESS KEY ADA SECOND < drive.mjs
//
// The two are files of pictures; the client takes a path for one only if it begins with a dot.
import fs from "node:fs";
import path from "node:path";
import { CompreFace } from "@exadel/compreface-js-sdk";

const [address, key, ada, second] = process.argv.slice(2);
const [, server, port] = address.match(/^(.*):(\d+)$/);
const near = (file) => path.relative(process.cwd(), file);
const base64 = (file) => fs.readFileSync(file).toString("base64");
const quiet = console.log;
console.log = () => {}; // the client prints the key

async function call(name, made) {
  let answer;
  try {
    answer = await made;
  } catch (error) {
    answer = error.response ? { status: error.response.status, ...error.response.data } : { thrown: String(error) };
  }
  quiet(JSON.stringify({ call: name, answer }));
  return answer;
}

const client = new CompreFace(server, port, {});
const recognition = client.initFaceRecognitionService(key);
const detection = client.initFaceDetectionService(key);
const verification = client.initFaceVerificationService(key);
const faces = () => client.initFaceRecognitionService(key).getFaceCollection(); // a used one changes its address
const subjects = () => client.initFaceRecognitionService(key).getSubjects();
const zoe = encodeURIComponent("Zoë & Co");

await call("subjects.add", subjects().add("Zoë & Co"));
await call("subjects.add again", subjects().add("Zoë & Co"));
await call("subjects.list", subjects().list());
await call("subjects.rename", subjects().rename(zoe, "Zoë"));
await call("subjects.delete", subjects().delete(encodeURIComponent("Zoë")));
await call("subjects.delete a/b?c", subjects().delete("a/b?c"));
const added = await call("faces.add", faces().add(near(ada), "Ada", { det_prob_threshold: 0.8 }));
const other = await call("faces.add base64", faces().add(base64(second), "Ada", {}));
const third = await call("faces.add encoded", faces().add(near(ada), encodeURIComponent("Tom & Co"), {}));
await call("faces.list", faces().list());
await call("faces.verify", faces().verify(near(ada), added.image_id, { limit: 1, face_plugins: "landmarks" }));
await call("recognize", recognition.recognize(near(ada), { limit: 0 }));
await call("recognize base64", recognition.recognize(base64(ada), {
  limit: 0, det_prob_threshold: 0.8, prediction_count: 2, face_plugins: "calculator,age", status: true,
}));
await call("recognize glued", recognition.recognize(near(ada), { det_prob_threshold: 0.8, status: true }));
await call("recognize buffer", recognition.recognize(fs.readFileSync(ada), {}));
await call("detect", detection.detect(near(ada), { limit: 1 }));
await call("detect glued", detection.detect(near(ada), { det_prob_threshold: 0.9, face_plugins: "age", status: true }));
await call("verify", verification.verify(near(ada), near(ada), { limit: 0, status: true }));
await call("verify base64", verification.verify(base64(ada), base64(second), {}));
await call("faces.delete", faces().delete(third.image_id));
await call("faces.delete_multiple_images", faces().delete_multiple_images([added.image_id, other.image_id]));
await call("faces.delete_all_subject", faces().delete_all_subject("Ada"));
await call("subjects.deleteAll", subjects().deleteAll());
await call("faces.delete_all", faces().delete_all());
