// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package redact

import "reflect"

// Value returns a deep copy of v in which Text was applied to every string: fields, elements, keys of maps,
// behind pointers. It walks whatever type there is, so that a field added later is not forgotten. Fields
// that are not exported are copied as they are.
func Value[T any](r Redactor, v T) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	out.Set(reflect.ValueOf(&v).Elem())
	r.walk(out)
	return out.Interface().(T)
}

// walk redacts v, which is settable, in place; whatever v shares with the original is copied first.
func (r Redactor) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(r.Text(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				r.walk(f)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			r.walk(v.Index(i))
		}
	case reflect.Slice:
		if !v.IsNil() {
			fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(fresh, v)
			for i := range fresh.Len() {
				r.walk(fresh.Index(i))
			}
			v.Set(fresh)
		}
	case reflect.Map:
		r.walkMap(v)
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			fresh := reflect.New(v.Elem().Type()).Elem()
			fresh.Set(v.Elem())
			r.walk(fresh)
			if v.Kind() == reflect.Pointer {
				fresh = fresh.Addr()
			}
			v.Set(fresh)
		}
	}
}

func (r Redactor) walkMap(v reflect.Value) {
	if v.IsNil() {
		return
	}
	fresh := reflect.MakeMapWithSize(v.Type(), v.Len())
	for _, key := range v.MapKeys() {
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		k.Set(key)
		e.Set(v.MapIndex(key))
		r.walk(k)
		r.walk(e)
		fresh.SetMapIndex(k, e)
	}
	v.Set(fresh)
}
