// The sections of docs/api.md.
import ts from 'typescript'
import { commentOf } from './comments.mjs'
import { errorBase, linkTo, memberKey, memberName, membersOf, parameterName, parametersOf } from './declarations.mjs'

const NAME = /(?<![\w.$'])[A-Za-z_$][\w$]*/g
const printer = ts.createPrinter({ removeComments: true })

/** The section of an export. */
export function describe(api, name) {
  const declarations = api.declarations.get(name)
  const [declaration] = declarations
  if (ts.isFunctionDeclaration(declaration)) return callable(api, '###', api.headings.get(name), declarations)
  if (ts.isClassDeclaration(declaration)) return classSection(api, name, declaration)
  if (ts.isVariableDeclaration(declaration)) {
    const type = declaration.type?.getText() ?? declaration.initializer.getText()
    const list = [`- Type: ${linked(api, type)}`]
    return section(`### \`${name}\``, list, commented(api, name, declaration))
  }
  if (ts.isInterfaceDeclaration(declaration)) return interfaceSection(api, name, declaration)
  const { paragraphs } = commented(api, name, declaration)
  const parameters = typeParameters(declaration)
  const type = code(typeText(api, declaration.type))
  return section(`### \`${name}\``, [`- ${parameters ? `\`${name}${parameters}\`: ` : ''}${type}`], { paragraphs })
}

/** Every export and every member of a class has its comment. */
function commented(api, name, declaration, className) {
  const comment = commentOf(api, declaration, className)
  if (comment.paragraphs.length === 0) throw new Error(`${name} has no comment`)
  return comment
}

function section(heading, list, { paragraphs = [], thrown = [] }) {
  return [heading, list.join('\n'), ...paragraphs, ...thrown].filter((part) => part !== '').join('\n\n')
}

/** Functions, methods and constructors. Of overloads, which take the same, the first is commented. */
function callable(api, level, heading, declarations, className) {
  const [declaration] = declarations
  const { paragraphs, throws, parameters } = commented(api, heading, declaration, className)
  const generics = typeParameters(declaration)
  const list = parametersOf(declaration).map((parameter) => {
    const name = parameterName(parameter)
    const types = new Set(
      declarations.map((overload) => {
        const same = overload.parameters.find((other) => parameterName(other) === name)
        return same === undefined ? '' : typeText(api, same.type, same.questionToken !== undefined)
      }),
    )
    types.delete('')
    return `- \`${name}\` ${linked(api, [...types].join(' | '))}${spaced(parameters.get(name) ?? '')}`
  })
  if (generics) list.unshift(`- \`${generics}\``)
  const results = new Set(declarations.map(({ type }) => (type === undefined ? 'void' : typeText(api, type))))
  const result = [...results].join(' | ')
  if (result !== 'void') list.push(`- Returns: ${linked(api, result)}`)
  const verb = result.startsWith('Promise<') ? 'Rejects' : 'Throws'
  return section(`${level} \`${heading}\``, list, { paragraphs, thrown: thrown(verb, throws) })
}

function thrown(verb, throws) {
  const given = verb === 'Throws' ? verb : `${verb} with`
  if (throws.length > 1) return [`${given}:\n\n${throws.map((text) => `- ${ended(text)}`).join('\n')}`]
  return throws.map((text) => ended(`${text.startsWith('as ') ? verb : given} ${text}`))
}

function ended(text) {
  return text.endsWith('.') ? text : `${text}.`
}

function spaced(text) {
  return text && ` ${text}`
}

function classSection(api, name, declaration) {
  const isError = errorBase(api, declaration)
  const list = [...(isError ? ['- Extends: `Error`'] : []), ...generic(name, declaration)]
  const parts = [section(`### Class: \`${name}\``, list, commented(api, name, declaration, name))]
  const all = membersOf(api, declaration)
  for (const key of new Set(all.map((member) => memberKey(name, member)))) {
    const overloads = all.filter((member) => memberKey(name, member) === key)
    parts.push(memberSection(api, name, api.headings.get(key), overloads))
  }
  return parts.join('\n\n')
}

function memberSection(api, className, heading, members) {
  const [member] = members
  if (ts.isMethodDeclaration(member) || ts.isConstructorDeclaration(member)) {
    return callable(api, '####', heading, members, className)
  }
  const type = member.type === undefined ? member.initializer.getText() : typeText(api, member.type)
  // The code of an error says it all.
  const comment =
    memberName(member) === 'code' ? commentOf(api, member, className) : commented(api, heading, member, className)
  return section(`#### \`${heading}\``, [`- Type: ${linked(api, type)}`], {
    ...comment,
    thrown: thrown('Throws', comment.throws),
  })
}

function interfaceSection(api, name, declaration) {
  const { paragraphs } = commented(api, name, declaration, name)
  const list = declaration.members.map((member) => field(api, name, member))
  // What is not exported is described by the comment.
  const bases = (declaration.heritageClauses ?? [])
    .flatMap(({ types }) => types)
    .filter((base) => identifiers(base.getText()).every((id) => isExported(api, id) || !api.declarations.has(id)))
    .map((base) => linked(api, typeText(api, base)))
  if (bases.length > 0) list.push(`- and all of ${bases.join(', ')}`)
  return [`### \`${name}\``, ...paragraphs, [...generic(name, declaration), ...list].join('\n')].join('\n\n')
}

function field(api, name, member) {
  const { paragraphs, absent } = commentOf(api, member, name)
  const said = spaced(paragraphs.join(' ')) + (absent && ` **Default:** ${absent}`)
  if (!ts.isMethodSignature(member)) {
    return `- \`${memberName(member)}\` ${linked(api, typeText(api, member.type, member.questionToken !== undefined))}${said}`
  }
  const parameters = member.parameters.map((parameter) => parameter.name.text).join(', ')
  return `- \`${memberName(member)}(${parameters})\`: returns ${linked(api, typeText(api, member.type))}.${said}`
}

/** What a type is given, as its first line. */
function generic(name, declaration) {
  const parameters = typeParameters(declaration)
  return parameters ? [`- \`${name}${parameters}\``] : []
}

function typeParameters({ typeParameters: parameters }) {
  return parameters === undefined ? '' : `<${parameters.map((parameter) => parameter.getText()).join(', ')}>`
}

/** A type on one line. It is always read only; undefined is for what may be left out. */
function typeText(api, node, optional = false) {
  const text = printer
    .printNode(ts.EmitHint.Unspecified, node, node.getSourceFile())
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/\breadonly /g, '')
    .replaceAll('; }', ' }')
    .replaceAll(/\[ | \]/g, (bracket) => bracket.trim())
    .replace(/^\| /, '')
  const given = optional ? text.replace(/ \| undefined$/, '').replace(/^\((.*)\)$/, '$1') : text
  return given.replaceAll(NAME, (name) => {
    const [declaration] = api.declarations.get(name) ?? []
    if (declaration === undefined) return api.imported.get(name) ?? name
    const isHidden = ts.isTypeAliasDeclaration(declaration) && !isExported(api, name)
    return isHidden ? typeText(api, declaration.type) : name
  })
}

function code(text) {
  return `\`${text}\``
}

/** A type, leading to what it names where that is one thing of ours. */
function linked(api, text) {
  const names = new Set(identifiers(text).filter((name) => isExported(api, name)))
  if (names.size > 1) names.delete('Blocking')
  const [name] = names
  return names.size === 1 ? `[${code(text)}](${linkTo(api, name)})` : code(text)
}

function identifiers(text) {
  return text.replaceAll(/'[^']*'/g, '').match(NAME) ?? []
}

function isExported(api, name) {
  return api.exported.includes(name)
}
