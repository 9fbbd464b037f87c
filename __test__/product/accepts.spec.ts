import { testPart } from './part.ts'

testPart('accepts')
