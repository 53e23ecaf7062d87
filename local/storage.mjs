// Keeps the objects of Supabase Storage as files of one folder. Their metadata is in the database (storage.objects).

import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

export class FolderStorage {
  driver = null;

  constructor(folder) {
    this.folder = folder;
  }

  async getObject(bucket, key) {
    const body = new Blob([await readFile(this.#file(bucket, key))]).stream();
    return { metadata: await this.headObject(bucket, key), httpStatusCode: 200, body };
  }

  async uploadObject(bucket, key, version, body, contentType, cacheControl) {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(await new Response(body).arrayBuffer());
    const file = this.#file(bucket, key);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, bytes);
    await writeFile(`${file}.json`, JSON.stringify({ contentType, cacheControl, eTag: `"${md5(bytes)}"` }));
    return this.headObject(bucket, key);
  }

  async headObject(bucket, key) {
    const file = this.#file(bucket, key);
    const { size, mtime } = await stat(file);
    const { contentType, cacheControl, eTag } = JSON.parse(await readFile(`${file}.json`, "utf8"));
    return {
      cacheControl,
      contentLength: size,
      eTag,
      httpStatusCode: 200,
      lastModified: mtime,
      mimetype: contentType,
      size,
    };
  }

  async copyObject(sourceBucket, source, version, bucket, key) {
    const [from, to] = [this.#file(sourceBucket, source), this.#file(bucket, key)];
    await mkdir(path.dirname(to), { recursive: true });
    await copyFile(from, to);
    await copyFile(`${from}.json`, `${to}.json`);
    const { eTag, lastModified } = await this.headObject(bucket, key);
    return { httpStatusCode: 200, eTag, lastModified };
  }

  async deleteObject(bucket, key) {
    const file = this.#file(bucket, key);
    await rm(file, { force: true });
    await rm(`${file}.json`, { force: true });
  }

  async deleteObjects(bucket, keys) {
    await Promise.all(keys.map((key) => this.deleteObject(bucket, key)));
  }

  async privateAssetUrl(bucket, key) {
    return `file://${this.#file(bucket, key)}`;
  }

  // A digest, so that no key can name a place outside the folder.
  #file(bucket, key) {
    return path.join(this.folder, sha256(bucket).slice(0, 16), sha256(key));
  }
}

const md5 = (bytes) => createHash("md5").update(bytes).digest("hex");
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
