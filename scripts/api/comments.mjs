// What the comment of a declaration says, as Markdown.
import ts from 'typescript'
import { linkTo } from './declarations.mjs'

/** Of a comment: its paragraphs, what is thrown, what each parameter is, and the default. */
export function commentOf(api, declaration, className) {
  const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration
  const comment = ts.getJSDocCommentsAndTags(node).findLast((part) => ts.isJSDoc(part))
  const text = (comment?.getText() ?? '')
    .replace(/^\/\*\*|\*\/$/g, '')
    .replaceAll(/^\s*\* ?/gm, '')
    .trim()
  const [first, ...tags] = text.split(/(?:^|\s+)@(throws|param|defaultValue)\s+/)
  const result = { paragraphs: paragraphsOf(api, first, className), throws: [], parameters: new Map(), absent: '' }
  for (let index = 0; index < tags.length; index += 2) {
    const [said] = paragraphsOf(api, tags[index + 1], className)
    if (tags[index] === 'throws') result.throws.push(said)
    else if (tags[index] === 'defaultValue') result.absent = asCode(said)
    else {
      const [name, ...words] = said.split(' ')
      result.parameters.set(name, words.join(' '))
    }
  }
  return result
}

/** Paragraphs are one line each, but for lists. */
function paragraphsOf(api, text, className) {
  return text
    .split(/\n\s*\n/)
    .map((paragraph) => inline(api, paragraph.replaceAll(/\n(?!- )\s*/g, ' ').trim(), className))
    .filter((paragraph) => paragraph !== '')
}

/** Links, and system errors as code. */
function inline(api, text, className) {
  return text
    .split(/(`[^`]*`|\{@link [^}]*\})/)
    .map((part) => {
      if (part.startsWith('`')) return part
      if (part.startsWith('{@link ')) return link(api, part.slice(7, -1).trim(), className)
      return part.replaceAll(/\bE(?!OF\b)[A-Z]{3,}\b/g, '`$&`')
    })
    .join('')
}

/** A member of the class, an export, or a member of one. */
function link(api, target, className) {
  const own = [`${className}#${target}`, `${className}.${target}`].find((key) => api.headings.has(key))
  if (own !== undefined) return `[\`${target}\`](${linkTo(api, own)})`
  const [name] = target.split('.')
  if (!api.headings.has(name)) throw new Error(`{@link ${target}} leads nowhere`)
  const member = [target, target.replace('.', '#')].find((key) => key !== name && api.headings.has(key))
  const text = member === undefined ? target : api.headings.get(member).replace(/\(.*\)$/, '()')
  return `[\`${text}\`](${linkTo(api, member ?? name)})`
}

/** A value, but not words. */
function asCode(text) {
  return /^[\w.'-]+$/.test(text) ? `\`${text}\`` : text
}
