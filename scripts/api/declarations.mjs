// What index.d.ts declares, and where docs/api.md describes it.
import ts from 'typescript'

/** What the objects of a class are called where that is not the class's name. */
const VARIABLES = { KEvent: 'event', SharedMemory: 'memory' }

/** The declarations by name, what is exported, what the imported names are, and the headings. */
export function readDeclarations(text) {
  const source = ts.createSourceFile('index.d.ts', text, ts.ScriptTarget.Latest, true)
  const api = { declarations: new Map(), exported: [], imported: new Map(), headings: new Map() }
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      const module = statement.moduleSpecifier.text.replace(/^node:/, '')
      for (const { name, propertyName } of statement.importClause.namedBindings.elements) {
        api.imported.set(name.text, `${module}.${(propertyName ?? name).text}`)
      }
    } else if (ts.isExportDeclaration(statement)) {
      api.exported.push(...statement.exportClause.elements.map(({ name }) => name.text))
    } else {
      const declared = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement]
      for (const declaration of declared) {
        const name = declaration.name.text
        api.declarations.set(name, [...(api.declarations.get(name) ?? []), declaration])
      }
    }
  }
  for (const name of api.exported) addHeadings(api, name)
  return api
}

function addHeadings(api, name) {
  const [declaration] = api.declarations.get(name)
  if (ts.isFunctionDeclaration(declaration)) {
    api.headings.set(name, name + parameterList(declaration))
  } else if (ts.isClassDeclaration(declaration)) {
    api.headings.set(name, name)
    for (const member of membersOf(api, declaration)) {
      api.headings.set(memberKey(name, member), memberHeading(api, name, member))
    }
  } else {
    api.headings.set(name, name)
  }
}

/** The public members of a class and of those bases of it that are not exported. */
export function membersOf(api, declaration) {
  const isError = errorBase(api, declaration)
  const own = declaration.members.filter((member) => {
    if (ts.isConstructorDeclaration(member)) return !isError && !isPrivate(member)
    return !ts.isPrivateIdentifier(member.name) && !isPrivate(member) && !ts.isSetAccessor(member)
  })
  const base = baseOf(declaration)
  if (base === undefined || api.exported.includes(base) || !api.declarations.has(base)) return own
  const names = new Set(own.map((member) => memberKey('', member)))
  const inherited = membersOf(api, api.declarations.get(base)[0]).filter((member) => !names.has(memberKey('', member)))
  const makes = (member) => ts.isConstructorDeclaration(member) || isStatic(member)
  return [
    ...own.filter(makes),
    ...inherited.filter((member) => !makes(member)),
    ...own.filter((member) => !makes(member)),
  ]
}

/** Whether the objects of a class are errors. */
export function errorBase(api, declaration) {
  const base = baseOf(declaration)
  return base === 'Error' || (api.declarations.has(base) && errorBase(api, api.declarations.get(base)[0]))
}

function baseOf(declaration) {
  return declaration.heritageClauses?.[0]?.types[0]?.expression.text
}

function isPrivate(member) {
  return (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) !== 0
}

function isStatic(member) {
  return (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static) !== 0
}

export function memberName(member) {
  return ts.isConstructorDeclaration(member) ? 'constructor' : member.name.getText()
}

/** A class may have both, as `OwnedFd.dup` and `OwnedFd#dup`. */
export function memberKey(className, member) {
  return `${className}${isStatic(member) ? '.' : '#'}${memberName(member)}`
}

function memberHeading(api, name, member) {
  if (ts.isConstructorDeclaration(member)) return `new ${name}${parameterList(member)}`
  const [declaration] = api.declarations.get(name)
  const variable = VARIABLES[name] ?? (errorBase(api, declaration) ? 'error' : name[0].toLowerCase() + name.slice(1))
  const own = memberName(member)
  const path = (isStatic(member) ? name : variable) + (own.startsWith('[') ? own : `.${own}`)
  return ts.isMethodDeclaration(member) ? path + parameterList(member) : path
}

/** `(address[, options])` */
function parameterList(declaration) {
  const names = parametersOf(declaration)
  const optional = names.findIndex((parameter) => parameter.questionToken !== undefined)
  const required = optional === -1 ? names : names.slice(0, optional)
  const rest = names.slice(required.length)
  const text = required.map(parameterName).join(', ')
  const tail = rest.map((parameter, index) => `[${text === '' && index === 0 ? '' : ', '}${parameter.name.text}`)
  return `(${text}${tail.join('')}${']'.repeat(rest.length)})`
}

/** The name of a parameter; of those that a tuple has, as they are declared. */
export function parameterName({ dotDotDotToken, name }) {
  return (dotDotDotToken === undefined ? '' : '...') + name.getText()
}

export function parametersOf(declaration) {
  return declaration.parameters.filter((parameter) => parameter.name.text !== 'this')
}

/** The link to the heading of an export, or of a class's member. */
export function linkTo(api, key) {
  const [name] = key.split(/[.#]/, 1)
  const heading = api.headings.get(key) ?? api.headings.get(name)
  const isClass = key === name && ts.isClassDeclaration(api.declarations.get(name)[0])
  return `#${anchorOf(isClass ? `Class: ${heading}` : heading)}`
}

/** What GitHub makes of a heading. */
function anchorOf(heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
