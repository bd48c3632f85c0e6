/**
 * Imported first in the sandbox: Node 24.21 writes one byte behind its memory when an odd number of bytes is read as UTF-16
 * from an odd address, which a damaged XLSB workbook can bring about. Half a character is left out instead.
 */
const plain = Buffer.prototype.toString

Buffer.prototype.toString = function (this: Buffer, encoding?: BufferEncoding, start?: number, end?: number): string {
  if (encoding === 'utf16le' || encoding === 'ucs2' || encoding === 'utf-16le' || encoding === 'ucs-2') {
    const part = this.subarray(start, end)
    return plain.call(part.length % 2 === 0 ? part : part.subarray(0, -1), encoding)
  }
  return plain.call(this, encoding, start, end)
}
